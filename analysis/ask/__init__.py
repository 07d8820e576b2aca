"""From table references and a question to the one statement that answers it."""
