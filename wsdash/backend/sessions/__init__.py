"""Sessions: programs that run on in a workspace when nobody is connected, with a state each."""
