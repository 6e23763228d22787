package bench;

/** A row of {@code accounts}; {@code born} in days, {@code updated} in microseconds since 1970. */
public record Row(
        long id, String name, String email, boolean active, double score, long version, int born, long updated) {}
