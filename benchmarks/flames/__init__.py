"""`make flames`: where the server's time goes in a call and in a frame, as flame graphs."""
