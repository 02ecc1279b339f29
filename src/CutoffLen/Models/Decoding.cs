using CutoffLen.Positions;
using static TorchSharp.torch;

namespace CutoffLen.Models;

/// <summary>
/// The hidden state after the last token of a row that grows, with the keys and values of earlier tokens kept. What it
/// gives is what a full forward of the row gives, for every method. The cache holds keys before their encoding, and where a
/// method changes its frequencies with the length, all earlier hidden states would have come out otherwise too, so the row
/// is then read anew.
/// </summary>
public sealed class Decoding(Llama model, PositionMethod method, int capacity) : IDisposable
{
    private readonly KeyValueCache cache = new(model, 1, capacity);
    private AttentionPlan? tables;

    /// <summary>The hidden state [1, C], after the final norm, of the last of these tokens; they begin with those given before.</summary>
    public Tensor Hidden(ReadOnlySpan<int> tokens)
    {
        using var scope = NewDisposeScope();
        if (!Serves(tokens.Length))
        {
            tables?.Dispose();
            tables = AttentionPlan.Create(
                method, TokenPositions.Sequential(method.DependsOnLength ? tokens.Length : capacity), model.Config, model.Device);
        }

        if (!method.SameAt(cache.Length, tokens.Length))
        {
            cache.Rewind(0);
        }

        var read = cache.Length;
        using var window = tables!.Window(read, tokens.Length);
        var unread = tensor(Array.ConvertAll(tokens[read..].ToArray(), id => (long)id), [1, tokens.Length - read]).to(model.Device);
        return model.Hidden(unread, window, cache)[0].narrow(0, tokens.Length - read - 1, 1).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        tables?.Dispose();
        cache.Dispose();
    }

    private bool Serves(int length) => tables is not null && (method.DependsOnLength ? tables.Length == length : tables.Length >= length);
}
