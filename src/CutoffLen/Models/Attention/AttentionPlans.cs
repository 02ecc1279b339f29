using CutoffLen.Distributed;
using CutoffLen.Hardware;
using CutoffLen.Positions;
using static TorchSharp.torch;

namespace CutoffLen.Models.Attention;

/// <summary>The attention plans of the decoder layers in one forward pass: one for each distinct method, shared by its layers.</summary>
public sealed class AttentionPlans : IDisposable
{
    private readonly IReadOnlyList<AttentionPlan> plans; // of each layer, or one for all

    private AttentionPlans(IReadOnlyList<AttentionPlan> plans) => this.plans = plans;

    /// <summary>T, the number of keys.</summary>
    public int Length => plans[0].Length;

    /// <summary>The fused path where any layer takes it.</summary>
    public AttentionPath Path => plans.Any(plan => plan.Path == AttentionPath.Sdpa) ? AttentionPath.Sdpa : AttentionPath.Blocked;

    /// <summary>The plan of a layer.</summary>
    public AttentionPlan this[int layer] => plans.Count == 1 ? plans[0] : plans[layer];

    /// <summary>One plan for every layer.</summary>
    public static implicit operator AttentionPlans(AttentionPlan ofEveryLayer) => new([ofEveryLayer]);

    /// <summary>The plans of a row; the parameters are those of <see cref="AttentionPlan.Create"/>.</summary>
    public static AttentionPlans Create(
        LayerPlan layers, TokenPositions positions, IAttentionShape shape, Device device, AttentionPath path = AttentionPath.Blocked,
        Workspace? workspace = null, ICollectives? context = null) =>
        new(layers.ByLayer(method => AttentionPlan.Create(method, positions, shape, device, path, workspace: workspace, context: context)));

    /// <summary>A part of the row in every layer; see <see cref="AttentionPlan.Window"/>.</summary>
    public AttentionPlans Window(int firstQuery, int length)
    {
        var windows = Distinct.ToDictionary(plan => plan, plan => plan.Window(firstQuery, length));
        return new([.. plans.Select(plan => windows[plan])]);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var plan in Distinct)
        {
            plan.Dispose();
        }
    }

    private IEnumerable<AttentionPlan> Distinct => plans.Distinct();
}
