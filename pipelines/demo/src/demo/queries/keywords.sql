-- The keywords of one language that are worth asking for, the most wanted first.
SELECT keyword, language, interest
FROM keyword_source
WHERE language = :language AND interest >= :least_interest
ORDER BY interest DESC, keyword
LIMIT :most
