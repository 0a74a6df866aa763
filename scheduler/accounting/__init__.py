"""An ended attempt to spans, spans to charges. Pure."""
