-- Tables, columns and events in the field's terms.
ALTER TABLE look RENAME TO context_observation;
ALTER TABLE context_observation RENAME COLUMN at TO observed_at;
ALTER TABLE context_observation RENAME COLUMN problem TO last_error;
ALTER TABLE attempt RENAME COLUMN seen TO last_observation;
ALTER TABLE attempt RENAME COLUMN problem TO last_error;
ALTER TABLE workspace RENAME COLUMN changed_at TO desired_changed_at;
ALTER TABLE workspace RENAME COLUMN extended_until TO autostop_not_before;
ALTER TABLE event RENAME COLUMN at TO created_at;
UPDATE event SET kind = CASE kind
  WHEN 'goes-on' THEN 'in-progress'
  WHEN 'withdrawn' THEN 'cancel-withdrawn'
  WHEN 'let-go' THEN 'released'
  WHEN 'left-behind' THEN 'leftovers'
  WHEN 'not-saved' THEN 'checkpoint-failed'
END WHERE kind IN ('goes-on', 'withdrawn', 'let-go', 'left-behind', 'not-saved');

CREATE INDEX workspace_of_context ON workspace (context) WHERE deleted_at IS NULL;

-- The version of wsdash that holds the lease. A process of an earlier version loses it here, for it could not write
-- to these tables, and cannot acquire it again, for it knows one column less.
ALTER TABLE lease ADD COLUMN version TEXT NOT NULL DEFAULT '';
UPDATE lease SET token = token + 1, expires_at = 0;
