namespace CutoffLen.Common;

/// <summary>
/// A fault in what the user gave. The message says what was given, where, and what is allowed; the program prints
/// it without a stack trace and exits 1. Several problems found together are joined by line breaks.
/// </summary>
public sealed class UserException : Exception
{
    /// <summary>Creates the exception with the text the user sees.</summary>
    public UserException(string message)
        : base(message) { }

    /// <summary>Creates the exception with the text the user sees and the fault that caused it.</summary>
    public UserException(string message, Exception inner)
        : base(message, inner) { }
}
