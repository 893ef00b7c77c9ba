CREATE TABLE notes (
    -- UUID version 7: newest first is the order of the ids, and new rows land side by side in the indexes.
    id uuid CONSTRAINT notes_pkey PRIMARY KEY,
    owner_id uuid NOT NULL
        CONSTRAINT notes_owner_id_fkey REFERENCES users ON DELETE CASCADE,
    title text NOT NULL
        CONSTRAINT notes_title_length CHECK (char_length(title) BETWEEN 1 AND 200),
    body text NOT NULL
        CONSTRAINT notes_body_length CHECK (char_length(body) <= 20000),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- A page: WHERE owner_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3.
CREATE INDEX notes_owner_id ON notes (owner_id, id DESC);
