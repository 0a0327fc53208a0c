"""Shows one stored trace: `build_preview` turns its bytes into what the page needs, safely and within limits."""

from dagy_console.exceptions.trace.preview.document import FieldView, Preview, build_preview

__all__ = ["FieldView", "Preview", "build_preview"]
