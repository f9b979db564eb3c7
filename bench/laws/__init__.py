"""Laws for authors of new parts: tests of pytest that any protocol keeps."""
