-- One row for each thing that is counted (an address, an account, a pair of them): an upsert counts the attempt, begins
-- a new window where the old one is over, and returns the count, so that of a hundred at once exactly the allowed ones pass.
CREATE TABLE sign_in_limits (
    bucket text CONSTRAINT sign_in_limits_pkey PRIMARY KEY
        CONSTRAINT sign_in_limits_bucket_length CHECK (char_length(bucket) <= 200),
    attempts integer NOT NULL,
    resets_at timestamptz NOT NULL
)
WITH (fillfactor = 70);
