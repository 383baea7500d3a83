-- How a form is known again stands in a column of its own, so that only those that fit a document are read as a whole. What was
-- taught before kept the words of the copy it was taught on, with what somebody had filled in: it is taught anew.
DELETE FROM forms;
ALTER TABLE forms ADD COLUMN fingerprint TEXT NOT NULL DEFAULT '[]';
