"""What other programs call the digit reader with: `digits_client.py`, to be copied or imported."""
