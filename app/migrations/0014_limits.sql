-- Whether the audit log has been told of this window's refusals.
ALTER TABLE sign_in_limits ADD COLUMN told boolean NOT NULL DEFAULT false;

-- Counts a try in all of `buckets`, or in none: what one of them refuses takes nothing from the others. Whoever comes at the
-- same time waits at the rows, which all take in one order. No row comes back for a try that is allowed.
--
-- Beyond its limit a bucket allows nothing until its window is over. A `slow` one allows the next try a second after the
-- last one, then after two, four … and 64 seconds, until nobody has tried for the length of a window.
CREATE FUNCTION count_attempt(buckets text[], limits integer[], seconds integer[], slow boolean[])
RETURNS TABLE (refused_by text, retry_after integer, is_first boolean)
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sign_in_limits AS known (bucket, attempts, resets_at)
    SELECT asked.bucket, 0, now() + make_interval(secs => asked.period)
    FROM unnest(buckets, seconds) AS asked (bucket, period)
    ORDER BY asked.bucket
    ON CONFLICT (bucket) DO UPDATE SET
        attempts = CASE WHEN known.resets_at > now() THEN known.attempts ELSE 0 END,
        told = known.told AND known.resets_at > now(),
        resets_at = CASE WHEN known.resets_at > now() THEN known.resets_at ELSE excluded.resets_at END;

    -- The one that makes wait the longest.
    SELECT known.bucket, ceil(extract(epoch FROM open.at - now())) INTO refused_by, retry_after
    FROM unnest(buckets, limits, seconds, slow) AS asked (bucket, allowed, period, slow)
    JOIN sign_in_limits AS known ON known.bucket = asked.bucket
    CROSS JOIN LATERAL (
        SELECT known.resets_at - CASE WHEN asked.slow
            THEN make_interval(secs => asked.period - (1 << greatest(0, least(known.attempts - asked.allowed, 6))))
            ELSE interval '0'
        END AS at
    ) AS open
    WHERE known.attempts >= asked.allowed AND open.at > now()
    ORDER BY open.at DESC
    LIMIT 1;

    IF FOUND THEN
        UPDATE sign_in_limits SET told = true WHERE bucket = refused_by AND NOT told;
        is_first := FOUND;
        RETURN NEXT;
    ELSE
        UPDATE sign_in_limits AS known SET
            attempts = known.attempts + 1,
            resets_at = CASE WHEN asked.slow AND known.attempts + 1 >= asked.allowed
                THEN now() + make_interval(secs => asked.period)
                ELSE known.resets_at
            END
        FROM unnest(buckets, limits, seconds, slow) AS asked (bucket, allowed, period, slow)
        WHERE known.bucket = asked.bucket;
    END IF;
END $$;
