-- Deliveries whose jobs were given up before that marked them as failed: they said for ever that they wait.
UPDATE webhook_deliveries SET state = 'failed', trouble = COALESCE(
    (SELECT MAX(SUBSTR(j.last_error, 1, 500)) FROM jobs j
     WHERE j.kind = 'deliver' AND j.state = 'dead' AND j.argument = webhook_deliveries.delivery_id), trouble)
WHERE state = 'waiting'
  AND delivery_id IN (SELECT argument FROM jobs WHERE kind = 'deliver' AND state = 'dead');
