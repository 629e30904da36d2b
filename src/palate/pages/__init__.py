"""What all pages share: layout, palette, login, sanitising."""
