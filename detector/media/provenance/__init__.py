"""What a file says of itself: container, hints, Content Credentials.

Nothing here judges a face, and nothing is proof: metadata can be changed by anyone, and nearly
every clip on the web was encoded again on its way. Content Credentials are the exception, as far
as their signature reaches.
"""
