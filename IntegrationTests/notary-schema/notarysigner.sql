-- As Notary's migrations make it.
CREATE TABLE schema_migrations (version BIGINT NOT NULL PRIMARY KEY, dirty BOOLEAN NOT NULL);
INSERT INTO schema_migrations VALUES (1, false);
CREATE TABLE private_keys (
    id SERIAL PRIMARY KEY,
    created_at TIMESTAMP NULL, updated_at TIMESTAMP NULL, deleted_at TIMESTAMP NULL,
    key_id VARCHAR(255) NOT NULL, encryption_alg VARCHAR(255) NOT NULL, keywrap_alg VARCHAR(255) NOT NULL,
    algorithm VARCHAR(50) NOT NULL, passphrase_alias VARCHAR(50) NOT NULL,
    public BYTEA NOT NULL, private BYTEA NOT NULL,
    gun VARCHAR(255) NOT NULL, role VARCHAR(255) NOT NULL, last_used TIMESTAMP NULL,
    CONSTRAINT key_id UNIQUE (key_id), CONSTRAINT key_id_2 UNIQUE (key_id, algorithm)
);
