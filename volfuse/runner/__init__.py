"""Programs in containers: bubblewrap makes the room, a launcher process moves programs in."""
