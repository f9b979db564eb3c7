"""Laws for authors of new parts: tests of pytest that any protocol, metric or pretraining objective keeps."""
