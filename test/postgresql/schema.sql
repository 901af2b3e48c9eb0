CREATE SEQUENCE lease_version;

CREATE TABLE lease (
  name text PRIMARY KEY,
  uid uuid NOT NULL DEFAULT gen_random_uuid(),
  version bigint NOT NULL DEFAULT nextval('lease_version'),
  record jsonb NOT NULL CHECK (jsonb_typeof(record -> 'holderIdentity') IS NOT DISTINCT FROM 'string')
);

-- Every change gets the next version, also one by hand, and rings the bell of the watches when it is committed.
CREATE FUNCTION lease_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    PERFORM pg_notify('lease', nextval('lease_version') || ' ' || OLD.name);
    RETURN OLD;
  END IF;
  NEW.version := nextval('lease_version');
  PERFORM pg_notify('lease', NEW.version || ' ' || NEW.name);
  RETURN NEW;
END $$;

CREATE TRIGGER lease_changes BEFORE INSERT OR UPDATE OR DELETE ON lease
  FOR EACH ROW EXECUTE FUNCTION lease_changes();

-- Takes its version while nobody else changes the table: a row that is deleted meanwhile must have a smaller one.
CREATE FUNCTION create_lease(text, jsonb) RETURNS SETOF lease LANGUAGE plpgsql AS $$
BEGIN
  LOCK TABLE lease IN SHARE ROW EXCLUSIVE MODE;
  RETURN QUERY INSERT INTO lease (name, record) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING RETURNING *;
END $$;
