using CutoffLen.Models.Attention;
using CutoffLen.Positions;
using static TorchSharp.torch;

namespace CutoffLen.Models.Llama;

/// <summary>
/// The hidden state after the last token of a row that grows, with the keys and values of earlier tokens kept. What it
/// gives is what a full forward of the row gives, for every method. The cache holds keys before their encoding, and where a
/// method changes its frequencies with the length, all earlier hidden states would have come out otherwise too, so the row
/// is then read anew.
/// </summary>
public sealed class Decoding(LlamaForCausalLM model, PositionMethod method, int capacity) : IDisposable
{
    private readonly KeyValueCache cache = new(model, 1, capacity);
    private AttentionPlan? tables;
    private int readAs; // the length of the row that the cached tokens were last read in

    /// <summary>
    /// The hidden states [n, C], after the final norm, of the last <paramref name="last"/> of these tokens; they begin with
    /// those given before, but for what <see cref="Rewind"/> took back.
    /// </summary>
    public Tensor Hidden(ReadOnlySpan<int> tokens, int last = 1)
    {
        using var scope = NewDisposeScope();
        if (!Serves(tokens.Length))
        {
            tables?.Dispose();
            tables = AttentionPlan.Create(
                method, TokenPositions.Sequential(method.DependsOnLength ? tokens.Length : capacity), model.Config, model.Device);
        }

        // Tokens whose hidden states are wanted are read again if need be: the cache has their keys and values only.
        cache.Rewind(method.SameAt(readAs, tokens.Length) ? Math.Min(cache.Length, tokens.Length - last) : 0);
        readAs = tokens.Length;
        var read = cache.Length;
        using var window = tables!.Window(read, tokens.Length);
        var unread = tensor(Array.ConvertAll(tokens[read..].ToArray(), id => (long)id), [1, tokens.Length - read]).to(model.Device);
        return model.Hidden(unread, window, cache)[0].narrow(0, tokens.Length - read - last, last).MoveToOuterDisposeScope();
    }

    /// <summary>Forgets all but the first <paramref name="length"/> tokens, so that another continuation can follow them.</summary>
    public void Rewind(int length) => cache.Rewind(Math.Min(length, cache.Length));

    /// <inheritdoc/>
    public void Dispose()
    {
        tables?.Dispose();
        cache.Dispose();
    }

    private bool Serves(int length) => tables is not null && (method.DependsOnLength ? tables.Length == length : tables.Length >= length);
}
