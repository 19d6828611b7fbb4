-- What only the workspace had when it was last looked for, and when its deletion was announced, as JSON; NULL where
-- nobody has looked. An autodelete goes by it.
ALTER TABLE workspace ADD COLUMN unsaved TEXT;
