namespace CutoffLen.Positions;

/// <summary>The position method of each decoder layer of a model. Layers that share a method share the object.</summary>
public sealed class LayerPlan
{
    private readonly IReadOnlyList<PositionMethod> methods; // of each layer, or one for all

    /// <summary>One method for every layer.</summary>
    public LayerPlan(PositionMethod ofEveryLayer)
        : this([ofEveryLayer])
    {
    }

    /// <summary>The methods of the layers, first to last.</summary>
    public LayerPlan(IReadOnlyList<PositionMethod> methods)
    {
        Distinct = [.. methods.Distinct()];
        this.methods = Distinct.Count == 1 ? Distinct : methods;
    }

    /// <summary>The methods, each once, in the order of their first layers.</summary>
    public IReadOnlyList<PositionMethod> Distinct { get; }

    /// <summary>The method where all layers have the same; null where they differ.</summary>
    public PositionMethod? OfEveryLayer => Distinct.Count == 1 ? Distinct[0] : null;

    /// <summary>Whether a token's encoding in any layer depends on how many tokens follow it.</summary>
    public bool DependsOnLength => Distinct.Any(method => method.DependsOnLength);

    /// <summary>The method of a layer.</summary>
    public PositionMethod this[int layer] => methods.Count == 1 ? methods[0] : methods[layer];

    /// <summary>The plan of one method.</summary>
    public static implicit operator LayerPlan(PositionMethod ofEveryLayer) => new(ofEveryLayer);

    /// <summary>Whether the tokens of a document have the same encodings at two lengths of it, in every layer.</summary>
    public bool SameAt(int length, int other) => Distinct.All(method => method.SameAt(length, other));

    /// <summary>Something made once for each distinct method, by layer: one where all layers share it.</summary>
    public IReadOnlyList<T> ByLayer<T>(Func<PositionMethod, T> make)
    {
        var made = Distinct.ToDictionary(method => method, make);
        return [.. methods.Select(method => made[method])];
    }
}
