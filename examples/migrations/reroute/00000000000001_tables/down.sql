DROP TABLE memos;
DROP TABLE notes;
