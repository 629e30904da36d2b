"""From judgements to what we believe: agreement, aggregation, frozen snapshots. No torch."""
