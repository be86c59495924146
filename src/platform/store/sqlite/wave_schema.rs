//! The columns of waves and schedules. What is held for a later wave has no place among the deliveries of
//! its host yet, and is in no index that the others are in.

/// What commands and deliveries had before is due at any time, all at once.
pub(super) const SCHEMA: &str = "
    ALTER TABLE commands ADD COLUMN not_before INTEGER;
    ALTER TABLE commands ADD COLUMN in_window INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE commands ADD COLUMN skip_offline INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE commands ADD COLUMN lifetime INTEGER;
    ALTER TABLE commands ADD COLUMN sweep INTEGER;
    ALTER TABLE commands ADD COLUMN waves INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE commands ADD COLUMN wave INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE commands ADD COLUMN wave_size INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE commands ADD COLUMN wave_pause INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE commands ADD COLUMN wave_due INTEGER;
    ALTER TABLE commands ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE commands ADD COLUMN failures_max INTEGER;
    ALTER TABLE commands ADD COLUMN failures_before INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE commands ADD COLUMN paused INTEGER;
    ALTER TABLE commands ADD COLUMN paused_reason TEXT NOT NULL DEFAULT '';
    UPDATE commands SET sweep = expires WHERE queued > 0;
    DROP INDEX commands_expiring;
    CREATE INDEX commands_expiring ON commands (sweep) WHERE queued > 0 AND sweep IS NOT NULL;
    CREATE INDEX commands_waves ON commands (wave_due) WHERE wave_due IS NOT NULL;

    ALTER TABLE deliveries ADD COLUMN wave INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE deliveries ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE deliveries ADD COLUMN in_window INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE deliveries ADD COLUMN skip INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE deliveries ADD COLUMN until INTEGER;
    DROP INDEX deliveries_waiting;
    CREATE INDEX deliveries_waiting ON deliveries (host, rank, sequence)
        WHERE state = 0 AND held = 0;
    CREATE INDEX deliveries_held ON deliveries (command, wave) WHERE held = 1;
    CREATE INDEX deliveries_skippable ON deliveries (command, host)
        WHERE state = 0 AND held = 0 AND skip = 1;

    ALTER TABLE groups ADD COLUMN windows TEXT NOT NULL DEFAULT '[]';
";
