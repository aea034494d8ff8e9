"""What people read: lines on a terminal, commands to type, progress, pictures, and no secret in any of them."""
