-- A key's life: made, published (verifiers learn it), signing, retired (signs no more), expired (verifies no more).
CREATE TABLE signing_keys (
    kid text CONSTRAINT signing_keys_pkey PRIMARY KEY
        CONSTRAINT signing_keys_kid_length CHECK (char_length(kid) BETWEEN 8 AND 64),
    algorithm text NOT NULL DEFAULT 'EdDSA'
        CONSTRAINT signing_keys_algorithm_known CHECK (algorithm = 'EdDSA'),
    -- Ed25519: the `x` of the JWK.
    public_key bytea NOT NULL
        CONSTRAINT signing_keys_public_key_length CHECK (octet_length(public_key) = 32),
    -- AES-256-GCM of the private key under the master key, with the kid as associated data.
    nonce bytea NOT NULL
        CONSTRAINT signing_keys_nonce_key UNIQUE
        CONSTRAINT signing_keys_nonce_length CHECK (octet_length(nonce) = 12),
    ciphertext bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz NOT NULL DEFAULT now(),
    signs_from timestamptz NOT NULL,
    retired_at timestamptz,
    expires_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT signing_keys_signs_when_published CHECK (signs_from >= published_at),
    CONSTRAINT signing_keys_expires_when_retired CHECK (expires_at >= retired_at)
);
