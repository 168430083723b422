"""Bookings: rooms, guests and who is in which room when."""
