-- Until when no autostop comes, whatever the policy says; NULL where the user asked for nothing.
ALTER TABLE workspace ADD COLUMN extended_until REAL;
