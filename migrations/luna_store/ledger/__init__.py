"""The append-only ledger of debits and refunds: booking events, reading their streams, holds, usage history."""
