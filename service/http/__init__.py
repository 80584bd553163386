"""How requests are read and errors are shown: strict JSON, problem documents, pages, the OpenAPI document."""
