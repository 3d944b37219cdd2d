"""Audits: what does a model give away of its data, in numbers with intervals and a finding that says what they mean."""
