CREATE TABLE users (
    id uuid CONSTRAINT users_pkey PRIMARY KEY,
    -- As the application normalises it; the check keeps a second spelling out, whoever writes.
    email text NOT NULL
        CONSTRAINT users_email_key UNIQUE
        CONSTRAINT users_email_length CHECK (char_length(email) BETWEEN 3 AND 254)
        CONSTRAINT users_email_normalised CHECK (email = lower(btrim(email))),
    -- PHC string: algorithm, parameters, pepper's id, salt, hash.
    password_hash text NOT NULL,
    admin boolean NOT NULL DEFAULT false,
    -- Words for a token's scope, beyond those that every account and every administrator has.
    permissions text[] NOT NULL DEFAULT '{}'
        CONSTRAINT users_permissions_words CHECK (array_to_string(permissions, ' ', '"') ~ '^([a-z:_]+( [a-z:_]+)*)?$'),
    -- The claim `ver`: goes up when rights change or all sessions end, and tokens with a lower one are dead.
    version integer NOT NULL DEFAULT 1
        CONSTRAINT users_version_positive CHECK (version > 0),
    disabled_at timestamptz,
    email_verified_at timestamptz,
    last_sign_in_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
