"""What a file says of itself: container, hints, Content Credentials."""
