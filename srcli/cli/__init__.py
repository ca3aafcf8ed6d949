"""Parse, call one service, render: no torch and no logic."""
