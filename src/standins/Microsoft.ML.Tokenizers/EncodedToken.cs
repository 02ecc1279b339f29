namespace Microsoft.ML.Tokenizers;

/// <summary>One token of an encoded text.</summary>
/// <param name="id">Its number in the vocabulary.</param>
/// <param name="value">Its string in the vocabulary.</param>
/// <param name="offset">The UTF-16 units of the (normalized) text that it stands for.</param>
public readonly struct EncodedToken(int id, string value, Range offset) : IEquatable<EncodedToken>
{
    /// <summary>Its number in the vocabulary.</summary>
    public int Id { get; } = id;

    /// <summary>Its string in the vocabulary.</summary>
    public string Value { get; } = value;

    /// <summary>The UTF-16 units of the (normalized) text that it stands for.</summary>
    public Range Offset { get; } = offset;

    /// <summary>Whether both are the same token at the same place.</summary>
    public bool Equals(EncodedToken other) => Id == other.Id && Value == other.Value && Offset.Equals(other.Offset);
}
