"""From a clip to a finding: engine, scan, aggregation, verification, comparison."""
