"""How fast networks run here: srcli's ways and its neighbours', side by side."""
