"""Documents for people and for other tools: each a function of a bundle's records, which adds nothing to them."""

from makar.provenance.documents.bundle import all_documents as all_documents
