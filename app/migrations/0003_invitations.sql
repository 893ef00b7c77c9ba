CREATE TABLE invitations (
    id uuid CONSTRAINT invitations_pkey PRIMARY KEY,
    -- SHA-256 of the token in the link, which has full entropy: nothing slower is needed.
    token_hash bytea NOT NULL
        CONSTRAINT invitations_token_hash_key UNIQUE
        CONSTRAINT invitations_token_hash_length CHECK (octet_length(token_hash) = 32),
    email text NOT NULL
        CONSTRAINT invitations_email_length CHECK (char_length(email) BETWEEN 3 AND 254)
        CONSTRAINT invitations_email_normalised CHECK (email = lower(btrim(email))),
    admin boolean NOT NULL DEFAULT false,
    -- Null: by the command line.
    created_by uuid CONSTRAINT invitations_created_by_fkey REFERENCES users ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    CONSTRAINT invitations_expires_later CHECK (expires_at > created_at)
);

CREATE INDEX invitations_email ON invitations (email);
CREATE INDEX invitations_created_by ON invitations (created_by);
