namespace CutoffLen.Hardware;

/// <summary>
/// Which of the job's processes on this host this one is: what torchrun calls LOCAL_RANK and LOCAL_WORLD_SIZE. Every rank
/// takes a device, or a share of the cores, of its own.
/// </summary>
/// <param name="Rank">From 0.</param>
/// <param name="Size">Processes of the job on this host.</param>
/// <param name="SharesCores">Whether they may use the same cores. A launcher that binds processes gives each its own.</param>
public sealed record LocalWorld(int Rank, int Size, bool SharesCores)
{
    /// <summary>This process's; set before a device is chosen.</summary>
    public static LocalWorld Current { get; internal set; } = new(0, 1, SharesCores: false);
}
