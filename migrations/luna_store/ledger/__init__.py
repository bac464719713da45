"""The append-only ledger of debits and refunds: booking, event streams, holds, usage history."""
