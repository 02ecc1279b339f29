namespace Microsoft.ML.Tokenizers;

/// <summary>Rewrites a text before it is cut into words and encoded.</summary>
public abstract class Normalizer
{
    /// <summary>For derived classes.</summary>
    protected Normalizer()
    {
    }

    /// <summary>The rewritten text.</summary>
    public abstract string Normalize(string original);

    /// <summary>The rewritten text.</summary>
    public abstract string Normalize(ReadOnlySpan<char> original);
}
