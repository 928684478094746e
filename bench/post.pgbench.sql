-- PostgreSQL's own limit: the rows of a stage post in one statement after the lock and read, ids made on the server, no client's work.
\set n random(1, :cases)
BEGIN;
SELECT c.*, (SELECT jsonb_agg(to_jsonb(st) ORDER BY st.stage, st.round) FROM stage st WHERE st.case_id = c.id)
  FROM cases c JOIN bench_case b ON b.id = c.id WHERE b.n = :n FOR UPDATE OF c;
WITH new AS (SELECT gen_random_uuid() AS entry, gen_random_uuid() AS look, gen_random_uuid() AS key, id AS case_id FROM bench_case WHERE n = :n),
e AS (INSERT INTO entry (id, log, type, case_id, seq, party, received_at, leaf)
      SELECT entry, 'cases', 'stage.posted', key, 2, 'bkn', now(), decode(repeat(replace(entry::text, '-', ''), 94), 'hex') FROM new
      UNION ALL SELECT look, 'access', 'access', NULL, NULL, 'bkn', now(), decode(repeat(replace(look::text, '-', ''), 32), 'hex') FROM new),
q AS (INSERT INTO pending (log, entry_id) SELECT 'cases', entry FROM new UNION ALL SELECT 'access', look FROM new),
p AS (INSERT INTO payload (entry_id, part, key_id, ciphertext)
      SELECT entry, part, key, decode(repeat(replace(entry::text, '-', ''), 28), 'hex') FROM new, (VALUES ('content'), ('summary')) v(part)),
s AS (UPDATE stage SET status = 'posted', outcome = 'lolos', facts = '{"decided_on": "2024-10-18"}', posted_at = now(), posted_by = 'bkn',
      posted_seq = 2, posted_entry_id = new.entry FROM new WHERE stage.case_id = new.case_id AND stage.stage = 'verifikasi_satgas' AND round = 1),
o AS (INSERT INTO stage (case_id, stage, round, status, owner, after, opened_on, opened_at, due_on, due, facts, entry_id)
      SELECT case_id, 'kajian_bawaslu', 1, 'open', 'bawaslu', 'verifikasi_satgas.lolos', current_date, now(), current_date, '{}', '{}', entry FROM new
      ON CONFLICT (case_id, stage, round) DO UPDATE SET due_on = excluded.due_on, entry_id = excluded.entry_id),
c AS (UPDATE cases SET status = 'di_bawaslu', version = version + 1, updated_at = now(), last_entry_id = new.entry
      FROM new WHERE cases.id = new.case_id),
i AS (INSERT INTO idempotency (client_id, key, fingerprint, entry_id) SELECT 'bkn-sandbox', key, decode('00', 'hex'), entry FROM new),
a AS (INSERT INTO access (entry_id, at, request_id, party, client_id, operation, case_ids, status)
      SELECT look, now(), key, 'bkn', 'bkn-sandbox', 'post', ARRAY[case_id], 201 FROM new)
SELECT 1;
COMMIT;
