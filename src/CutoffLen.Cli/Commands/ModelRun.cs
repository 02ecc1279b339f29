using CutoffLen.Models;
using CutoffLen.Runs;

namespace CutoffLen.Cli.Commands;

/// <summary>What JSON results say about the run of a model.</summary>
internal sealed record ModelRun(string Model, string Device, string Dtype, string Rope, string Tables, string VanillaTables, double LargestLogitDifference)
{
    public ModelRun(ModelSession session, PositionedModel model)
        : this(
            session.Folder.Folder,
            session.Compute.DeviceName,
            session.Compute.DtypeName,
            model.Proof.Spec,
            model.Proof.Hash,
            model.Proof.VanillaHash,
            model.LargestLogitDifference) { }
}
