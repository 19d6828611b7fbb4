-- Why the provider could not do what it was last asked for this attempt; NULL once it did.
ALTER TABLE attempt ADD COLUMN problem TEXT;
