"""What is missing or left over: `spotwise doctor`, its checks, clusters that nobody owns."""
