"""What any server of a store needs: processes that answer and can be killed, limits, connections, a kept secret."""
