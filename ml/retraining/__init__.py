"""What is done about models that got worse: who is trained again, put back or trusted less, and what it brought."""
